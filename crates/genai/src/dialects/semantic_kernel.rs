//! Microsoft Semantic Kernel, .NET and Python. It writes OpenTelemetry's keys.

use super::{Dialect, PLAIN, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "semantic_kernel",
    title: "Microsoft Semantic Kernel",
    scopes: &["Microsoft.SemanticKernel", "semantic_kernel"],
    keys: &[signal("sk.available_functions")],
    source: "microsoft/semantic-kernel@b39d95a dotnet/src/InternalUtilities/src/Diagnostics/ModelDiagnostics.cs",
    ..PLAIN
};
