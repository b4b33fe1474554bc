//! Bytes that can be checked without being kept: a body of any length, and its hash.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use sha2::{Digest, Sha256};

const CHUNK: usize = 64 * 1024;

/// Every block of this size begins with its number, so that a lost, doubled or swapped packet
/// shows in the hash.
const BLOCK: usize = 1_024;

/// What lies between the numbers: copied, since bodies are long and tests are built to debug.
static FILLING: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..CHUNK).map(|i| (i * 31 % 251) as u8).collect());

/// A body of deterministic bytes.
#[derive(Clone, Debug)]
pub struct Pattern {
    at: u64,
    end: u64,
}

impl Pattern {
    /// The first `length` bytes.
    pub fn new(length: u64) -> Self {
        Self { at: 0, end: length }
    }

    /// Their SHA-256 in hexadecimal digits.
    pub fn sha256(mut self) -> String {
        let mut hash = Sha256::new();
        while let Some(chunk) = self.next_chunk() {
            hash.update(&chunk);
        }
        hex(hash)
    }

    fn next_chunk(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(CHUNK);
        let mut chunk = FILLING.clone();
        for (number, block) in (self.at / BLOCK as u64..).zip(chunk.chunks_exact_mut(BLOCK)) {
            block[..8].copy_from_slice(&number.to_le_bytes());
        }
        chunk.truncate(length);
        self.at += length as u64;
        (length > 0).then(|| chunk.into())
    }
}

/// A finished hash in hexadecimal digits.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_chunk().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_pattern_begins_with_the_shorter() {
        let all = |length| {
            let mut pattern = Pattern::new(length);
            let mut bytes = Vec::new();
            while let Some(chunk) = pattern.next_chunk() {
                bytes.extend(chunk);
            }
            bytes
        };
        let long = all(200_001);
        assert_eq!(long.len(), 200_001);
        assert_eq!(all(70_003), long[..70_003]);
        assert!(all(0).is_empty());
    }

    /// The hash of nothing (FIPS 180-4).
    #[test]
    fn the_hash_is_sha256() {
        assert!(Pattern::new(0).sha256().starts_with("e3b0c44298fc1c14"));
    }
}
