//! Builds the BPF object and leaves it in `OUT_DIR`, where `backend::xdp::object` embeds it.
//!
//! Promises: uses the toolchain that is there (rustup's nightly with `rust-src`, else Debian's compiler with its prebuilt
//! `core`), downloads none, and says in one line what is missing. `AYA_BUILD_SKIP=1` leaves the object out: the program
//! then says so when it is asked to load it. Not aya-build, which cannot ask for an instruction set: the third version
//! (32-bit arithmetic and jumps, Linux 5.1) makes the program a tenth faster than the first.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

const PACKAGE: &str = "perimeter-xdp";

/// Where Debian's `rustc-web` and `libstd-rust-web-dev-bpf` live.
const DEBIAN: &str = "/usr";

/// The only crate that needs unstable features; the others keep to stable Rust.
const UNSTABLE: &str = "aya_ebpf";

/// What compiles for BPF.
enum Toolchain {
    /// rustup's nightly, which builds `core` itself.
    Nightly,
    /// Debian's stable compiler and its `core`.
    Debian,
}

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../xdp");
    println!("cargo::rerun-if-env-changed=AYA_BUILD_SKIP");
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    let object = out.join(PACKAGE);
    if env::var_os("AYA_BUILD_SKIP").is_some_and(|skip| skip == "1" || skip == "true") {
        return fs::write(&object, []).with_context(|| format!("writing {}", object.display()));
    }
    look_where_cargo_installs()?;
    let endian = env::var("CARGO_CFG_TARGET_ENDIAN").context("CARGO_CFG_TARGET_ENDIAN is not set")?;
    let target = if endian == "big" { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };
    let built = build(&toolchain(target)?, target, &out.join("bpf"))?;
    fs::copy(&built, &object).with_context(|| format!("copying {}", built.display()))?;
    Ok(())
}

/// Has cargo build the package; the path of the object.
fn build(toolchain: &Toolchain, target: &str, directory: &Path) -> Result<PathBuf> {
    let mut cargo = toolchain.cargo();
    cargo.args(["build", "--quiet", "--release", "--package", PACKAGE, "--target", target]);
    // A directory of its own: the outer cargo holds the lock of the usual one.
    cargo.arg("--target-dir").arg(directory);
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").context("CARGO_CFG_TARGET_ARCH is not set")?;
    let flags = format!("--cfg=bpf_target_arch=\"{architecture}\"\x1f-Ctarget-cpu=v3");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
    let output = cargo.output().with_context(|| format!("starting {cargo:?}"))?;
    if !output.status.success() {
        bail!("building the BPF object failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(directory.join(target).join("release").join(PACKAGE))
}

impl Toolchain {
    fn cargo(&self) -> Command {
        let bin = Path::new(DEBIAN).join("bin");
        let mut cargo = match self {
            Toolchain::Nightly => Command::new("rustup"),
            Toolchain::Debian => Command::new(bin.join("cargo")),
        };
        // What the outer cargo says of its own compiler does not hold for this one.
        for key in ["RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_TOOLCHAIN"] {
            cargo.env_remove(key);
        }
        match self {
            Toolchain::Nightly => cargo.args(["run", "nightly", "cargo", "-Zbuild-std=core"]),
            Toolchain::Debian => cargo.env("RUSTC", bin.join("rustc")).env("RUSTC_BOOTSTRAP", UNSTABLE),
        };
        cargo
    }
}

/// `cargo install` leaves `bpf-linker` in a folder that the shell of a fresh machine does not search.
fn look_where_cargo_installs() -> Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|user| user.join(".cargo")));
    let searched = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(env::split_paths(&searched).chain(home.map(|home| home.join("bin"))))?;
    // SAFETY: the build script has one thread.
    unsafe { env::set_var("PATH", path) };
    Ok(())
}

/// The toolchain that can build for BPF without a download.
fn toolchain(target: &str) -> Result<Toolchain> {
    if !Command::new("bpf-linker").arg("--version").output().is_ok_and(|output| output.status.success()) {
        bail!("bpf-linker is missing: run scripts/setup.sh, or `cargo install bpf-linker`");
    }
    if nightly_has_source() {
        return Ok(Toolchain::Nightly);
    }
    if has_prebuilt_core(Path::new(DEBIAN), target) {
        return Ok(Toolchain::Debian);
    }
    bail!(
        "no Rust toolchain here can build for BPF: run scripts/setup.sh (Debian's rustc-web and \
         libstd-rust-web-dev-bpf), or `rustup toolchain install nightly --component rust-src`"
    )
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
fn has_prebuilt_core(root: &Path, target: &str) -> bool {
    let Ok(files) = fs::read_dir(root.join("lib/rustlib").join(target).join("lib")) else { return false };
    let is_core = |name: &OsStr| name.to_string_lossy().starts_with("libcore-");
    root.join("bin/cargo").exists() && files.flatten().any(|file| is_core(&file.file_name()))
}
