//! Compiles the settings of the allocator into the binary.

use std::env;
use std::error::Error;

const SETTINGS: &str = "src/allocator.c";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={SETTINGS}");
    let is_unix =
        env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|families| families.split(',').any(|family| family == "unix"));
    if env::var_os("CARGO_FEATURE_MIMALLOC").is_none() || !is_unix {
        return Ok(());
    }
    let mut build = cc::Build::new();
    build.include(env::var("DEP_MIMALLOC_INCLUDE_DIR")?).file(SETTINGS);
    // An object, and no library: nothing names what is in it, so a linker would leave it out of one.
    for object in build.try_compile_intermediates()? {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
    Ok(())
}
