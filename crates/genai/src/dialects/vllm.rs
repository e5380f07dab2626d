//! vLLM and SGLang: the spans of a model server, whose calls the client counts.

use super::Plain::*;
use super::{Dialect, PLAIN, key, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "vllm",
    title: "vLLM, SGLang",
    scopes: &["vllm"],
    is_server: true,
    keys: &[
        key("gen_ai.latency.time_to_first_token", FirstChunkSeconds).and_signal(),
        signal("gen_ai.latency.e2e"),
        signal("gen_ai.latency.time_in_queue"),
        signal("gen_ai.latency.time_in_model_prefill"),
        signal("gen_ai.latency.time_in_model_decode"),
        signal("gen_ai.latency.time_in_model_inference"),
        signal("gen_ai.latency.time_in_scheduler"),
        signal("gen_ai.latency.time_in_model_forward"),
        signal("gen_ai.latency.time_in_model_execute"),
    ],
    source: "vllm-project/vllm vllm/tracing.py",
    ..PLAIN
};
