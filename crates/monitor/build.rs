//! Generates the messages of checkpoint and log from `proto/monitoring.proto`, without protoc.
#![allow(clippy::print_stdout)]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = "../../proto";
    println!("cargo:rerun-if-changed={directory}");
    let files = protox::compile(["monitoring.proto"], [directory])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
