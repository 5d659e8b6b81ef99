//! scrypt (RFC 7914).

use eryx_net_host::HostMemory;

use super::KeyError;
use super::pbkdf2::{self, Hash};
use super::yield_point::YieldPoint;

/// The unit of the memory: 64 bytes, as words in little-endian order, placed as [`ORDER`] says.
type Block = [u32; 16];

/// The size of a block in bytes.
const BLOCK_SIZE: usize = 64;

/// The word at each place: the four diagonals of the matrix of the words. The quarter rounds of a
/// column or a row work on one word of each, so that the compiler uses vectors for all four.
const ORDER: [usize; 16] = [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11];

/// The place of the second word.
const SECOND: usize = 13;

/// How many blocks a piece of work mixes: about 100 µs.
const PIECE: usize = 2048;

/// How much work and memory a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    n: usize,
    r: usize,
    p: usize,
}

impl Cost {
    /// Returns the cost with these parameters, if they are those of an scrypt.
    pub(crate) fn new(n: u64, r: u32, p: u32) -> Result<Self, KeyError> {
        let fits = r >= 1
            && p >= 1
            && n >= 2
            && n.is_power_of_two()
            && u64::from(n.trailing_zeros()) < 16 * u64::from(r)
            && u64::from(r) * u64::from(p) < 1 << 30;
        match (usize::try_from(n), usize::try_from(r), usize::try_from(p)) {
            (Ok(n), Ok(r), Ok(p)) if fits => Ok(Self { n, r, p }),
            _ => Err(KeyError::Cost),
        }
    }

    /// Returns the bytes of memory that it takes: `n` elements, two more to mix them, and the
    /// expanded password.
    fn memory(self) -> u64 {
        let element = 128 * self.r as u64;
        element.saturating_mul(self.n as u64 + 2 + self.p as u64)
    }
}

/// Returns a key of `size` bytes. The memory counts towards `budget` while it works.
///
/// # Errors
///
/// [`KeyError::Memory`] when less is left of the budget.
pub(crate) async fn derive(
    yield_point: &mut impl YieldPoint,
    budget: &HostMemory,
    password: &[u8],
    salt: &[u8],
    cost: Cost,
    size: usize,
) -> Result<Vec<u8>, KeyError> {
    let _charge = budget.charge(cost.memory())?;
    let Cost { n, r, p } = cost;
    let mut expanded =
        pbkdf2::derive(yield_point, Hash::Sha256, password, salt, 1, 128 * r * p).await;
    let mut mixer = Mixer {
        elements: vec![[0; 16]; 2 * r * n],
        x: vec![[0; 16]; 2 * r],
        y: vec![[0; 16]; 2 * r],
        done: 0,
    };
    for part in expanded.chunks_exact_mut(128 * r) {
        mixer.load(yield_point, part).await;
        mixer.mix(yield_point, n, r).await;
        mixer.store(yield_point, part).await;
    }
    Ok(pbkdf2::derive(yield_point, Hash::Sha256, password, &expanded, 1, size).await)
}

/// The memory of ROMix (section 5).
struct Mixer {
    /// The `n` elements of 2 * `r` blocks.
    elements: Vec<Block>,
    x: Vec<Block>,
    y: Vec<Block>,
    /// The number of blocks that were mixed since the last yield point.
    done: usize,
}

impl Mixer {
    async fn load(&mut self, yield_point: &mut impl YieldPoint, bytes: &[u8]) {
        let pieces = self
            .x
            .chunks_mut(PIECE)
            .zip(bytes.chunks(PIECE * BLOCK_SIZE));
        for (blocks, bytes) in pieces {
            for (block, bytes) in blocks.iter_mut().zip(bytes.chunks_exact(BLOCK_SIZE)) {
                for (word, i) in block.iter_mut().zip(ORDER) {
                    let bytes = &bytes[4 * i..];
                    *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                }
            }
            yield_after(yield_point, &mut self.done, blocks.len()).await;
        }
    }

    async fn store(&mut self, yield_point: &mut impl YieldPoint, bytes: &mut [u8]) {
        let pieces = self
            .x
            .chunks(PIECE)
            .zip(bytes.chunks_mut(PIECE * BLOCK_SIZE));
        for (blocks, bytes) in pieces {
            for (block, bytes) in blocks.iter().zip(bytes.chunks_exact_mut(BLOCK_SIZE)) {
                for (word, i) in block.iter().zip(ORDER) {
                    bytes[4 * i..][..4].copy_from_slice(&word.to_le_bytes());
                }
            }
            yield_after(yield_point, &mut self.done, blocks.len()).await;
        }
    }

    async fn mix(&mut self, yield_point: &mut impl YieldPoint, n: usize, r: usize) {
        let Self {
            elements,
            x,
            y,
            done,
        } = self;
        let size = 2 * r;
        for (from, to) in x.chunks(PIECE).zip(elements.chunks_mut(PIECE)) {
            to[..from.len()].copy_from_slice(from);
            yield_after(yield_point, done, from.len()).await;
        }
        for i in 1..n {
            let (before, after) = elements.split_at_mut(i * size);
            let from = &before[(i - 1) * size..];
            block_mix(yield_point, done, from, None, &mut after[..size]).await;
        }
        block_mix(yield_point, done, &elements[(n - 1) * size..], None, x).await;
        for _ in 0..n {
            let last = x[size - 1];
            // `n` is a power of 2 and at most the number of elements.
            let j = (u64::from(last[SECOND]) << 32 | u64::from(last[0])) & (n as u64 - 1);
            let element = &elements[j as usize * size..][..size];
            block_mix(yield_point, done, x, Some(element), y).await;
            std::mem::swap(x, y);
        }
    }
}

/// Counts work, and reaches a yield point after each piece of it.
async fn yield_after(yield_point: &mut impl YieldPoint, done: &mut usize, blocks: usize) {
    *done += blocks;
    if *done >= PIECE {
        *done = 0;
        yield_point.yield_if_due().await;
    }
}

/// BlockMix (section 4) of `input`, or of `input` XOR `other`.
async fn block_mix(
    yield_point: &mut impl YieldPoint,
    done: &mut usize,
    input: &[Block],
    other: Option<&[Block]>,
    output: &mut [Block],
) {
    let size = input.len();
    let mut state = input[size - 1];
    if let Some(other) = other {
        xor(&mut state, &other[size - 1]);
    }
    for start in (0..size).step_by(PIECE) {
        let end = size.min(start + PIECE);
        match other {
            Some(other) => mix_blocks(&mut state, start..end, output, |state, i| {
                xor(state, &input[i]);
                xor(state, &other[i]);
            }),
            None => mix_blocks(&mut state, start..end, output, |state, i| {
                xor(state, &input[i]);
            }),
        }
        yield_after(yield_point, done, end - start).await;
    }
}

#[inline(always)]
fn mix_blocks(
    state: &mut Block,
    blocks: std::ops::Range<usize>,
    output: &mut [Block],
    add_input: impl Fn(&mut Block, usize),
) {
    let half = output.len() / 2;
    let mut x = *state;
    for i in blocks {
        add_input(&mut x, i);
        salsa20_8(&mut x);
        output[i / 2 + i % 2 * half] = x;
    }
    *state = x;
}

#[inline(always)]
fn xor(block: &mut Block, other: &Block) {
    for (word, other) in block.iter_mut().zip(other) {
        *word ^= other;
    }
}

/// The Salsa20/8 core (section 3), on a block in the order of [`ORDER`].
#[inline(always)]
fn salsa20_8(block: &mut Block) {
    let [mut a, mut b, mut c, mut d] = [0, 4, 8, 12].map(|i| Lanes::at(block, i));
    for _ in 0..4 {
        (a, b, c, d) = quarter_rounds(a, b, c, d);
        // From columns to rows.
        (b, c, d) = (b.turned::<3>(), c.turned::<2>(), d.turned::<1>());
        (a, d, c, b) = quarter_rounds(a, d, c, b);
        (b, c, d) = (b.turned::<1>(), c.turned::<2>(), d.turned::<3>());
    }
    for (i, lanes) in [a, b, c, d].into_iter().enumerate() {
        for j in 0..4 {
            block[4 * i + j] = block[4 * i + j].wrapping_add(lanes.0[j]);
        }
    }
}

/// Four words that the same operations are applied to.
#[derive(Clone, Copy)]
struct Lanes([u32; 4]);

impl Lanes {
    #[inline(always)]
    fn at(block: &Block, i: usize) -> Self {
        Self([block[i], block[i + 1], block[i + 2], block[i + 3]])
    }

    /// Rotates the words to the left by `N` places.
    #[inline(always)]
    fn turned<const N: usize>(self) -> Self {
        let Self(w) = self;
        Self([w[N % 4], w[(N + 1) % 4], w[(N + 2) % 4], w[(N + 3) % 4]])
    }

    #[inline(always)]
    fn mixed(self, x: Self, y: Self, rotation: u32) -> Self {
        let mix = |i: usize| self.0[i] ^ x.0[i].wrapping_add(y.0[i]).rotate_left(rotation);
        Self([mix(0), mix(1), mix(2), mix(3)])
    }
}

#[inline(always)]
fn quarter_rounds(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> (Lanes, Lanes, Lanes, Lanes) {
    let b = b.mixed(a, d, 7);
    let c = c.mixed(b, a, 9);
    let d = d.mixed(c, b, 13);
    let a = a.mixed(d, c, 18);
    (a, b, c, d)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::super::yield_point::tests::{Count, block_on};
    use super::*;

    fn key(password: &[u8], salt: &[u8], n: u64, r: u32, p: u32) -> (String, usize) {
        let mut yields = Count::default();
        let cost = Cost::new(n, r, p).expect("valid");
        let memory = HostMemory::default();
        let key = block_on(derive(&mut yields, &memory, password, salt, cost, 64));
        assert_eq!(memory.used(), 0);
        (HEXLOWER.encode(&key.expect("fits")), yields.0)
    }

    #[test]
    fn the_core_is_that_of_the_rfc() {
        let parse = |hex: &str| {
            let bytes = HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal");
            ORDER.map(|i| {
                let word = bytes[4 * i..][..4].try_into().expect("four bytes");
                u32::from_le_bytes(word)
            })
        };
        let mut block = parse(
            "7e879a214f3ec9867ca940e641718f26baee555b8c61c1b50df846116dcd3b1dee24f319df9b3d8514\
             121e4b5ac5aa3276021d2909c74829edebc68db8b8c25e",
        );
        salsa20_8(&mut block);
        let expected = parse(
            "a41f859c6608cc993b81cacb020cef05044b2181a2fd337dfd7b1c6396682f29b4393168e3c9e6bcfe\
             6bc5b7a06d96bae424cc102c91745c24ad673dc7618f81",
        );
        assert_eq!(block, expected);
    }

    #[test]
    fn keys_are_those_of_the_rfc() {
        assert_eq!(
            key(b"", b"", 16, 1, 1).0,
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a75\
             3a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"
        );
        assert_eq!(
            key(b"password", b"NaCl", 1024, 8, 16).0,
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109\
             279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
        );
        assert_eq!(
            key(b"pleaseletmein", b"SodiumChloride", 16384, 8, 1).0,
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d497\
             05242a9af9e61e85dc0d651e40dfcf017b45575887"
        );
    }

    #[test]
    fn a_piece_of_work_is_bounded_whatever_the_cost_is_made_of() {
        // Much memory in many small elements, in few large ones, and much parallelism.
        for (n, r, p) in [(16384, 8, 1), (2, 65536, 1), (2, 1, 16384)] {
            let blocks = 4 * n as usize * r as usize * p as usize;
            let (_, yields) = key(b"", b"", n, r, p);
            assert!(yields >= blocks / PIECE, "{n} {r} {p}: {yields}");
        }
    }

    #[test]
    fn memory_that_exceeds_the_budget_is_refused_before_it_is_allocated() {
        let memory = HostMemory::new(1 << 20);
        for (n, r, p) in [
            (1 << 10, 8, 1),
            (1 << 60, 8, 1),
            (2, (1 << 30) - 1, 1),
            (2, 1, (1 << 30) - 1),
        ] {
            let cost = Cost::new(n, r, p).expect("valid");
            let mut yields = Count::default();
            let error = block_on(derive(&mut yields, &memory, b"", b"", cost, 64));
            assert!(matches!(error, Err(KeyError::Memory(_))), "{n} {r} {p}");
            assert_eq!((yields.0, memory.used()), (0, 0));
        }
    }

    #[test]
    fn parameters_that_are_none_of_scrypt_are_refused() {
        for (n, r, p) in [
            (0, 1, 1),
            (1, 1, 1),
            (3, 1, 1),
            (1 << 16, 1, 1),
            (2, 0, 1),
            (2, 1, 0),
            (2, 1 << 15, 1 << 15),
        ] {
            assert_eq!(Cost::new(n, r, p), Err(KeyError::Cost), "{n} {r} {p}");
        }
    }
}
