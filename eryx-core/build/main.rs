//! With the feature `embedded-image`: finds the guest image that is embedded.

#[cfg(feature = "embedded-image")]
mod image;

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rustc-check-cfg=cfg(has_machine_code)");
    #[cfg(feature = "embedded-image")]
    if let Err(reason) = image::embed() {
        println!("cargo::error={reason}");
        std::process::exit(1);
    }
}
