//! Seeding of the random number generator.

use rustls::crypto::aws_lc_rs;

/// Seeds the random number generator of this process, which takes about 50 ms of processor time.
///
/// AWS-LC gathers entropy from the processor's jitter once per process. Without this call, the
/// first TLS handshake does it. An embedder that cannot accept the delay there calls this function
/// at its start.
///
/// ```
/// eryx_tls::seed_random();
/// ```
pub fn seed_random() {
    // Without entropy every handshake fails with an error, so the result can be ignored here.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0]);
}
