//! TCP connections.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{Client, Conversation, PATIENCE, Pace, Target};
use crate::soak::{
    message::{HEADER, Message},
    tally::Failure,
};

/// Questions of a connection that does not last.
const BRIEF: u32 = 3;

/// How long others last: longer than a flow lives that nobody uses.
const LASTING: Duration = Duration::from_secs(45);

/// Bytes of the questions, in turn: less than a segment, several, and more than a window.
const SIZES: [u32; 4] = [200, 4_000, 60, 60_000];

/// A connection of a few questions.
pub(super) fn brief(client: &Client, target: &Target) {
    converse(client, target, |asked| asked < BRIEF);
}

/// A connection that lasts.
pub(super) fn lasting(client: &Client, target: &Target) {
    let (end, mut pace) = (Instant::now() + LASTING, Pace::new(20));
    converse(client, target, |_| {
        pace.wait();
        Instant::now() < end && !client.shared.is_stopped()
    });
}

fn converse(client: &Client, target: &Target, mut goes_on: impl FnMut(u32) -> bool) {
    let mut conversation = client.converse(target);
    let mut stream = match open(target) {
        Ok(stream) => stream,
        Err(error) => {
            return conversation.failed(Failure::of(&error), &format!("connect: {error}"));
        }
    };
    for asked in 0.. {
        if !goes_on(asked) || !exchange(&mut stream, &mut conversation, size_of(asked)) {
            return;
        }
    }
}

fn size_of(asked: u32) -> u32 {
    SIZES[asked as usize % SIZES.len()]
}

fn open(target: &Target) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target.at, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A question and its answer; whether the connection may go on.
fn exchange(stream: &mut TcpStream, conversation: &mut Conversation<'_>, size: u32) -> bool {
    let question = conversation.question(size.max(HEADER as u32));
    let answer = match answer(stream, &question) {
        Ok(answer) => answer,
        Err(error) => {
            let what = format!("question {}: {error}", question.sequence.min(1));
            conversation.failed(Failure::of(&error), &what);
            return false;
        }
    };
    let taken = Message::decode(&answer).and_then(|answer| conversation.take(&question, &answer));
    taken.map_err(|error| conversation.failed(Failure::Other, &format!("{error:#}"))).is_ok()
}

fn answer(stream: &mut TcpStream, question: &Message) -> io::Result<Vec<u8>> {
    stream.write_all(&question.encode())?;
    let mut answer = vec![0; question.size as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
