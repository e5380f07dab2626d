//! LoongSuite, traceAI and others that write OpenTelemetry's keys, and what a span is in a key of its own: then the operation may be any
//! word, or missing.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, key, role_if};
use crate::role::Role;

const KINDS: &[(&str, Says)] = &[
    ("LLM", Says::Shared("chat", Role::Llm)),
    ("EMBEDDING", Says::Shared("embeddings", Role::Embeddings)),
    ("AGENT", Says::Shared("invoke_agent", Role::Agent)),
    ("TOOL", Says::Shared("execute_tool", Role::Tool)),
    ("CHAIN", Says::Shared("chain", Role::Chain)),
    ("WORKFLOW", Says::Shared("invoke_workflow", Role::Chain)),
    ("TASK", Says::Shared("execute_task", Role::Chain)),
    ("STEP", Says::Shared("chain", Role::Chain)),
    ("ENTRY", Says::Shared("chain", Role::Chain)),
    ("RETRIEVER", Says::Shared("retrieval", Role::Chain)),
    ("RERANKER", Says::Shared("rerank", Role::Chain)),
    // VeADK
    ("llm", Says::Shared("chat", Role::Llm)),
    ("agent", Says::Shared("invoke_agent", Role::Agent)),
    ("tool", Says::Shared("execute_tool", Role::Tool)),
    ("workflow", Says::Shared("invoke_workflow", Role::Chain)),
];

pub(super) const DIALECT: Dialect = Dialect {
    name: "loongsuite",
    title: "LoongSuite, traceAI, Dify, VeADK",
    keys: &[
        role_if("gen_ai.span.kind", KINDS),
        role_if("fi.span.kind", KINDS),        // traceAI
        key("gen_ai.model_name", EitherModel), // Dify
    ],
    source: "alibaba/loongsuite-python-agent, future-agi/traceAI, volcengine/veadk-python, langgenius/dify core/ops/aliyun_trace, by search",
    ..PLAIN
};
