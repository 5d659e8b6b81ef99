//! Keys from passwords, which programs derive through `hashlib`: PBKDF2 and scrypt.
//!
//! Both are slow on purpose, so they run in pieces on the thread of the execution, which yields to
//! the runtime between them: deadlines and cancellation hold, and the time counts as the program's.

pub(crate) mod pbkdf2;
pub(crate) mod scrypt;
pub(crate) mod yield_point;

/// The largest key in bytes. A larger one would be a result of a size that the program chooses.
const LARGEST_KEY: usize = 1 << 20;

/// The largest salt in bytes, which the host hashes at least once.
const LARGEST_SALT: usize = 1 << 20;

/// The largest password in bytes. The guest passes the digest of a longer one, which is the same
/// to HMAC.
const LARGEST_PASSWORD: usize = 1 << 10;

/// Why a key cannot be derived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the key must have from 1 to {LARGEST_KEY} bytes, not {0}")]
    KeySize(usize),
    #[error("the salt must have at most {LARGEST_SALT} bytes, not {0}")]
    SaltSize(usize),
    #[error("the password must have at most {LARGEST_PASSWORD} bytes, or be hashed, not {0}")]
    PasswordSize(usize),
    #[error("the number of rounds must be at least 1")]
    NoRounds,
    #[error(
        "scrypt needs an n that is a power of 2 from 2 to 2**(16*r - 1), and r and p from 1 with \
         r*p below 2**30"
    )]
    Cost,
    #[error(transparent)]
    Memory(#[from] eryx_net_host::HostMemoryFull),
}

/// Checks the sizes of the arguments of both functions.
pub(crate) fn check_sizes(password: &[u8], salt: &[u8], size: usize) -> Result<(), KeyError> {
    if password.len() > LARGEST_PASSWORD {
        return Err(KeyError::PasswordSize(password.len()));
    }
    if salt.len() > LARGEST_SALT {
        return Err(KeyError::SaltSize(salt.len()));
    }
    if size == 0 || size > LARGEST_KEY {
        return Err(KeyError::KeySize(size));
    }
    Ok(())
}
