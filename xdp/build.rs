//! Lets the BPF backend read multi-byte fields at any address in one instruction, as every kernel with a BPF JIT does for
//! packets and map values; without it each byte is a load of its own.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=--cpu-features=+allows-misaligned-mem-access");
}
