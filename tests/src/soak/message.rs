//! What clients and servers of a soak say: each message tells who asked whom, and is checked by
//! whoever receives it, byte for byte.
//!
//! ```text
//! magic 4 | pod 2 | service 2 | client 4 | size 4 | sequence 8 | checksum 8 | filling
//! ```

use anyhow::{Result, ensure};

/// Bytes before the filling.
pub(super) const HEADER: usize = 32;

/// The longest that a datagram carries over IPv4: without its IP and UDP headers.
pub(super) const LONGEST: usize = 65_535 - 20 - 8;

const QUESTION: &[u8; 4] = b"svcQ";
const ANSWER: &[u8; 4] = b"svcA";

/// A question, or its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message {
    /// Who answers; `None` of a question.
    pub(super) pod: Option<u16>,
    /// The Service that is asked.
    pub(super) service: u16,
    /// The connection or socket that asks.
    pub(super) client: u32,
    /// The number of the question there, from 0 on.
    pub(super) sequence: u64,
    /// Bytes of all of it.
    pub(super) size: u32,
}

impl Message {
    /// The answer that a pod gives to this question.
    #[must_use]
    pub(super) fn answered_by(self, pod: u16) -> Self {
        Self { pod: Some(pod), ..self }
    }

    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length());
        bytes.extend(self.pod.map_or(QUESTION, |_| ANSWER));
        bytes.extend(self.pod.unwrap_or_default().to_be_bytes());
        bytes.extend(self.service.to_be_bytes());
        bytes.extend(self.client.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend([0; 8]);
        bytes.extend(self.filling());
        let sum = checksum(&bytes);
        bytes[HEADER - 8..HEADER].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// What `bytes` say.
    ///
    /// # Errors
    /// They are no message, or one with another byte than it was sent with.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let message = Self::head(bytes)?;
        let whole = message.encode();
        ensure!(
            bytes.len() == whole.len(),
            "{} bytes of {}: {message:?}",
            bytes.len(),
            whole.len()
        );
        let differs = bytes.iter().zip(&whole).position(|(got, sent)| got != sent);
        ensure!(differs.is_none(), "byte {differs:?} is another: {message:?}");
        Ok(message)
    }

    /// What a header says, before the rest is known to be right.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn head(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.len() >= HEADER, "{} bytes are no message", bytes.len());
        let is_answer = bytes[..4] == *ANSWER;
        ensure!(is_answer || bytes[..4] == *QUESTION, "begins with {:02x?}", &bytes[..4]);
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let message = Self {
            pod: is_answer.then_some(number(4, 6) as u16),
            service: number(6, 8) as u16,
            client: number(8, 12) as u32,
            size: number(12, 16) as u32,
            sequence: number(16, 24),
        };
        let size = message.size as usize;
        ensure!((HEADER..=LONGEST).contains(&size), "a message of {size} bytes");
        Ok(message)
    }

    fn length(&self) -> usize {
        (self.size as usize).clamp(HEADER, LONGEST)
    }

    /// Other bytes for each question of each client, so that parts of two never look alike.
    fn filling(&self) -> impl Iterator<Item = u8> + use<> {
        let seed = u64::from(self.client) << 32 ^ self.sequence << 8 ^ u64::from(self.size);
        (0..(self.length() - HEADER) as u64).map(move |i| {
            let mixed = (seed ^ (i / 8)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed.to_be_bytes()[(i % 8) as usize]
        })
    }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Message =
        Message { pod: None, service: 3, client: 0x0102_0304, sequence: 5, size: 100 };

    #[test]
    fn messages_of_every_size_are_read_as_they_were_written() {
        for size in [HEADER, HEADER + 1, 1_000, LONGEST] {
            for message in [QUESTION, QUESTION.answered_by(7)] {
                let message = Message { size: size as u32, ..message };
                let bytes = message.encode();
                assert_eq!(bytes.len(), size);
                assert_eq!(Message::decode(&bytes).unwrap(), message);
            }
        }
    }

    #[test]
    fn any_other_byte_is_noticed() {
        let bytes = QUESTION.encode();
        for place in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[place] ^= 0x10;
            assert!(Message::decode(&wrong).is_err(), "byte {place}");
        }
        assert!(Message::decode(&bytes[..99]).is_err() && Message::decode(&[]).is_err());
    }

    #[test]
    fn the_parts_of_two_questions_differ() {
        let long = |sequence| Message { sequence, size: 4_000, ..QUESTION }.encode();
        let (one, next) = (long(5), long(6));
        let alike = one[HEADER..].chunks(1_400).zip(next[HEADER..].chunks(1_400));
        assert!(alike.into_iter().all(|(a, b)| a != b));
    }
}
