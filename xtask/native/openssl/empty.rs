//! Nothing: cargo needs a file to fetch the sources of OpenSSL.
