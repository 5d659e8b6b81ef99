//! The random numbers of this process.

use rustls::crypto::aws_lc_rs;

/// Draws the first random number of this process, which takes some 50 ms of processor time: AWS-LC gathers entropy from the
/// processor's jitter once. The first TLS handshake does it otherwise; an embedder for whom that is too long at that moment
/// calls this when it starts.
///
/// ```
/// eryx_tls::seed_random();
/// ```
pub fn seed_random() {
    // Where there is no entropy, every handshake fails and says so.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0]);
}
