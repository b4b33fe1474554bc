//! Datagrams.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    time::Instant,
};

use anyhow::Result;

use super::{Client, Conversation, PATIENCE, Target};
use crate::{
    soak::{message::Message, tally::Failure},
    traffic::udp,
};

/// Questions from a socket.
const QUESTIONS: u32 = 4;

/// Bytes of a small question, which fits any path.
const SMALL: u32 = 300;

/// Bytes of large ones, in turn.
const LARGE: [u32; 4] = [4_000, 20_000, 60_000, 9_000];

/// Several small questions.
pub(super) fn small(client: &Client, target: &Target) {
    converse(client, target, |_| SMALL);
}

/// Several questions that travel in fragments, as their answers do.
pub(super) fn large(client: &Client, target: &Target) {
    converse(client, target, |asked| LARGE[asked as usize % LARGE.len()]);
}

fn converse(client: &Client, target: &Target, size: impl Fn(u32) -> u32) {
    let mut conversation = client.converse(target);
    let socket = match connect(target.at) {
        Ok(socket) => socket,
        Err(error) => return conversation.failed(Failure::Other, &format!("socket: {error}")),
    };
    for asked in 0..QUESTIONS {
        if !exchange(&socket, &mut conversation, size(asked)) {
            return;
        }
    }
}

/// A socket that talks to `at` alone.
pub(super) fn connect(at: SocketAddr) -> io::Result<UdpSocket> {
    udp::connect(at, PATIENCE)
}

fn exchange(socket: &UdpSocket, conversation: &mut Conversation<'_>, size: u32) -> bool {
    let question = conversation.question(size);
    let answer = match answer(socket, &question) {
        Ok(answer) => answer,
        Err(error) => {
            conversation.failed(Failure::of(&error), &format!("{size} bytes: {error}"));
            return false;
        }
    };
    let taken = answer.and_then(|answer| conversation.take(&question, &answer));
    taken.map_err(|error| conversation.failed(Failure::Other, &format!("{error:#}"))).is_ok()
}

/// The answer to the question, or what came in its place.
pub(super) fn answer(socket: &UdpSocket, question: &Message) -> io::Result<Result<Message>> {
    socket.send(&question.encode())?;
    let (mut buffer, deadline) = (vec![0; 65_536], Instant::now() + PATIENCE);
    while Instant::now() < deadline {
        let length = socket.recv(&mut buffer)?;
        match Message::decode(&buffer[..length]) {
            // A late answer to a question that was given up.
            Ok(answer) if answer.sequence < question.sequence => {}
            other => return Ok(other),
        }
    }
    Err(ErrorKind::TimedOut.into())
}
