//! Builds the BPF object and leaves it in `OUT_DIR`, where `backend::xdp::object` embeds it.
//!
//! Promises: uses the toolchain that is there (rustup's nightly with `rust-src`, else Debian's compiler with its prebuilt
//! `core`), downloads none, and says in one line what is missing. `AYA_BUILD_SKIP=1` leaves the object out: the program
//! then says so when it is asked to load it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain};

/// Where Debian's `rustc-web` and `libstd-rust-web-dev-bpf` live.
const DEBIAN: &str = "/usr";

/// The only crate that needs unstable features; the others keep to stable Rust.
const UNSTABLE: &str = "aya_ebpf";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=AYA_BUILD_SKIP");
    let object = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?).join("perimeter-xdp");
    if env::var_os("AYA_BUILD_SKIP").is_some_and(|skip| skip == "1" || skip == "true") {
        return fs::write(&object, []).with_context(|| format!("writing {}", object.display()));
    }
    let toolchain = toolchain()?;
    // aya-build repeats every line of the inner cargo as a warning; a build that succeeds has nothing to say.
    // SAFETY: the build script has one thread.
    unsafe { env::set_var("CARGO_TERM_QUIET", "true") };
    let package = Package {
        name: "perimeter-xdp",
        root_dir: concat!(env!("CARGO_MANIFEST_DIR"), "/../xdp"),
        ..Package::default()
    };
    aya_build::build_ebpf([package], toolchain)
}

/// The toolchain that can build for BPF without a download.
fn toolchain() -> Result<Toolchain<'static>> {
    if !runs(Command::new("bpf-linker").arg("--version")) {
        bail!("bpf-linker is missing: run scripts/setup.sh, or `cargo install bpf-linker`");
    }
    if nightly_has_source() {
        return Ok(Toolchain::Nightly);
    }
    if !has_prebuilt_core(Path::new(DEBIAN)) {
        bail!(
            "no Rust toolchain here can build for BPF: run scripts/setup.sh (Debian's rustc-web and \
             libstd-rust-web-dev-bpf), or `rustup toolchain install nightly --component rust-src`"
        );
    }
    // SAFETY: the build script has one thread.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", UNSTABLE) };
    Ok(Toolchain::Custom(DEBIAN))
}

/// Whether rustup's nightly can build `core` itself.
fn nightly_has_source() -> bool {
    let Ok(sysroot) = Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]).output()
    else {
        return false;
    };
    let root = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    sysroot.status.success() && root.join("lib/rustlib/src/rust/library/core").is_dir()
}

/// Whether the toolchain at `root` carries a compiled `core` for BPF.
fn has_prebuilt_core(root: &Path) -> bool {
    let Ok(files) = fs::read_dir(root.join("lib/rustlib/bpfel-unknown-none/lib")) else { return false };
    let is_core = |name: &OsStr| name.to_string_lossy().starts_with("libcore-");
    root.join("bin/rustc").exists() && files.flatten().any(|file| is_core(&file.file_name()))
}

/// Whether a command starts and succeeds.
fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
