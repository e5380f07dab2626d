//! Generates the messages of a checkpoint from `proto/counting.proto`, without protoc.
#![allow(clippy::print_stdout)]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = "../../proto";
    println!("cargo:rerun-if-changed={directory}");
    let files = protox::compile(["counting.proto"], [directory])?;
    prost_build::Config::new()
        // Few have them, and they are as large as all the rest.
        .boxed(".spanmill.counting.Held.rare")
        .boxed(".spanmill.counting.Node.waiting")
        .compile_fds(files)?;
    Ok(())
}
