//! Channels: messages between processes, their ends, and peers that are gone. They are on Linux and Windows.

use std::thread;
use std::time::Duration;

use heirloom::{Command, ErrorKind, Receiver, Region, Sender, Stdio, channel};
use heirloom_conformance::{Chance, check_message, emulated, fill_message, is_inheritable, output, rounds, text};

use crate::{CHILD, child};

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The length of the longest message of a channel of 4096 bytes.
const LONGEST: usize = 2040;

pub(crate) fn channel_child(args: &[&str]) -> Command {
    child(&[&["channel"], args].concat())
}

pub(crate) fn small() -> (Sender, Receiver) {
    channel(4096).unwrap()
}

/// Fills the ring, and returns how many messages it holds.
pub(crate) fn fill(sender: &mut Sender) -> u32 {
    let mut sent = 0;
    while sender.try_send(&[7; 1000]).unwrap() {
        sent += 1;
    }
    sent
}

/// How many messages a test checks. An emulator takes much longer for each, and so does Wine.
fn many() -> usize {
    if emulated() || cfg!(windows) { 2000 } else { rounds(100_000, 10_000_000) }
}

#[test]
fn messages_to_a_child_arrive_whole_and_in_order() {
    let count = many();
    let (mut sender, receiver) = small();
    let mut command = channel_child(&["receive", "jobs", &count.to_string(), "9"]);
    let child = command.inherit_end("jobs", receiver).unwrap().stdout(Stdio::piped()).spawn().unwrap();
    let (mut chance, mut message) = (Chance::new(9), Vec::new());
    for index in 0..u32::try_from(count).unwrap() {
        fill_message(index, &mut chance, LONGEST, &mut message);
        sender.send(&message).unwrap();
    }
    drop(sender);
    let gone = "cannot receive: the sender of the channel is closed, or its process has ended, and all that it sent was received";
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("PeerGone: {gone}\n"));
}

#[test]
fn messages_from_a_child_arrive_whole_and_in_order() {
    let count = many();
    let (sender, mut receiver) = small();
    let mut command = channel_child(&["send", "answers", &count.to_string(), "5"]);
    let mut child = command.inherit_end("answers", sender).unwrap().spawn().unwrap();
    let (mut chance, mut expected) = (Chance::new(5), Vec::new());
    for index in 0..u32::try_from(count).unwrap() {
        let message = receiver.recv().unwrap();
        check_message(index, &mut chance, LONGEST, &message.to_vec(), &mut expected);
    }
    assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::PeerGone);
    assert!(child.wait().unwrap().success());
}

#[test]
fn questions_are_answered_by_a_pair_of_channels() {
    let ((mut questions, asked), (answered, mut answers)) = (small(), small());
    let mut command = channel_child(&["echo", "questions", "answers"]);
    command.inherit_end("questions", asked).unwrap().inherit_end("answers", answered).unwrap();
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    for round in 0..1000_u32 {
        questions.send(&round.to_ne_bytes()).unwrap();
        assert_eq!(answers.recv().unwrap().to_vec(), round.to_ne_bytes());
    }
    drop(questions);
    assert_eq!(child.wait_with_output().unwrap().stdout, b"PeerGone\n");
    assert_eq!(answers.recv().unwrap_err().kind(), ErrorKind::PeerGone);
}

#[test]
fn longest_message_is_sent_from_every_position() {
    let (mut sender, mut receiver) = small();
    assert_eq!(sender.longest_message(), LONGEST);
    for len in 0..600 {
        sender.send(&vec![1; len]).unwrap();
        assert_eq!(receiver.recv().unwrap().len(), len);
        sender.send(&[len.to_ne_bytes()[0]; LONGEST]).unwrap();
        assert_eq!(receiver.recv().unwrap().to_vec(), [len.to_ne_bytes()[0]; LONGEST]);
    }
    let error = sender.send(&[0; LONGEST + 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.message(), "cannot send 2041 bytes: the longest message of this channel has 2040");
    sender.send(b"still there").unwrap();
    assert_eq!(receiver.recv().unwrap().to_vec(), b"still there");
}

#[test]
fn bad_capacity_is_an_error() {
    assert_eq!(channel(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(channel((4 << 30) + 1).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(channel(1).unwrap().0.longest_message(), LONGEST);
    assert_eq!(channel(4097).unwrap().0.longest_message(), 4088);
}

#[test]
fn full_ring_makes_a_sender_wait() {
    let (mut sender, mut receiver) = small();
    assert_eq!(fill(&mut sender), 4);
    assert!(!sender.send_timeout(&[7; 1000], Duration::from_millis(1)).unwrap());
    assert!(sender.try_reserve(1000).unwrap().is_none());
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(b"last"));
        for _ in 0..4 {
            assert_eq!(receiver.recv().unwrap().to_vec(), [7; 1000]);
        }
        assert_eq!(receiver.recv().unwrap().to_vec(), b"last");
        blocked.join().unwrap().unwrap();
    });
    assert!(receiver.try_recv().unwrap().is_none());
    assert!(receiver.recv_timeout(Duration::from_millis(1)).unwrap().is_none());
}

#[test]
fn message_stays_until_it_is_dropped() {
    let (mut sender, mut receiver) = small();
    fill(&mut sender);
    let message = receiver.recv().unwrap();
    assert!(!sender.try_send(&[8; 1000]).unwrap());
    drop(message);
    assert!(sender.try_send(&[8; 1000]).unwrap());
    // A message that is forgotten comes again.
    std::mem::forget(receiver.recv().unwrap());
    assert_eq!(receiver.recv().unwrap().to_vec(), [7; 1000]);
    // A slot that is dropped sends nothing.
    drop(receiver.recv().unwrap());
    drop(sender.reserve(8).unwrap());
    assert_eq!(receiver.recv().unwrap().to_vec(), [7; 1000]);
    assert_eq!(receiver.recv().unwrap().to_vec(), [8; 1000]);
    assert!(receiver.try_recv().unwrap().is_none());
}

#[test]
fn end_used_before_it_is_moved_goes_on_there() {
    let ((mut questions, asked), (answered, mut answers)) = (small(), small());
    let mut local = asked;
    for _ in 0..100 {
        questions.send(&[1; 333]).unwrap();
        drop(local.recv().unwrap());
    }
    questions.send(b"before").unwrap();
    let mut command = channel_child(&["echo", "questions", "answers"]);
    command.inherit_end("questions", local).unwrap().inherit_end("answers", answered).unwrap();
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    questions.send(b"after").unwrap();
    assert_eq!(answers.recv().unwrap().to_vec(), b"before");
    assert_eq!(answers.recv().unwrap().to_vec(), b"after");
    drop(questions);
    assert!(child.wait().unwrap().success());
}

#[test]
fn end_is_given_to_one_child() {
    let (sender, mut receiver) = small();
    let mut command = channel_child(&["send", "answers", "1", "3"]);
    let mut child = command.inherit_end("answers", sender).unwrap().spawn().unwrap();
    let error = command.spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyTaken);
    assert!(error.message().ends_with("an earlier child of this command has its ends of channels"), "{error}");
    let (other, _receiver) = small();
    assert_eq!(command.inherit_end("more", other).unwrap_err().kind(), ErrorKind::AlreadyTaken);
    assert!(receiver.recv_timeout(LONG).unwrap().is_some());
    assert!(child.wait().unwrap().success());
}

#[test]
fn command_that_starts_nothing_closes_its_ends() {
    let (sender, mut receiver) = small();
    let mut command = Command::new("/nonexistent/program");
    command.inherit_end("answers", sender).unwrap();
    assert_eq!(command.spawn().unwrap_err().kind(), ErrorKind::ProgramNotFound);
    // The end is still there for another attempt.
    assert!(receiver.try_recv().unwrap().is_none());
    drop(command);
    assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::PeerGone);

    let (sender, mut receiver) = small();
    let mut command = Command::new("true");
    command.inherit("name", &Region::create(4096).unwrap()).unwrap();
    assert_eq!(command.inherit_end("name", sender).unwrap_err().kind(), ErrorKind::NameInUse);
    assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::PeerGone);
}

#[test]
fn end_is_taken_once_and_as_what_it_is() {
    let (sender, _receiver) = small();
    let taken = output(channel_child(&["take", "answers"]).inherit_end("answers", sender).unwrap());
    let lines: Vec<&str> = taken.lines().collect();
    assert_eq!(
        lines,
        [
            "WrongKind: cannot inherit the receiver \"answers\" as a Receiver: it is the sender of a channel; use Sender::inherited",
            "WrongKind: cannot inherit the region \"answers\" as a Region: it is the sender of a channel; use Sender::inherited",
            "ok 2040",
            "AlreadyTaken: cannot inherit the sender \"answers\": an earlier call took it; an end belongs to one holder: pass that on",
        ]
    );
    let region = Region::create(4096).unwrap();
    let mut command = channel_child(&["send", "answers", "1", "3"]);
    let output = command.inherit("answers", &region).unwrap().stderr(Stdio::piped()).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("WrongKind"));
    assert_eq!(Sender::inherited("answers").unwrap_err().kind(), ErrorKind::NotInherited);
}

#[test]
fn exported_ends_are_imported() {
    let (mut questions, asked) = small();
    let (replies, mut answers) = small();
    let (asked, replies) = (asked.export_inheritable().unwrap(), replies.export_inheritable().unwrap());
    let mut command = std::process::Command::new(CHILD);
    command.args(["channel", "import-and-echo"]).env("QUESTIONS", asked.as_str()).env("ANSWERS", replies.as_str());
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop((asked, replies));
    for message in [&b"one"[..], b"", &[7; LONGEST]] {
        questions.send(message).unwrap();
        assert_eq!(answers.recv().unwrap().to_vec(), message);
    }
    drop(questions);
    assert_eq!(answers.recv().unwrap_err().kind(), ErrorKind::PeerGone);
    assert_eq!(text(child.wait_with_output().unwrap()), format!("{:?}\n", [false; 6]));
}

#[test]
fn death_of_a_child_that_imported_an_end_is_told() {
    let (questions, asked) = small();
    let (replies, mut answers) = small();
    let (asked, replies) = (asked.export_inheritable().unwrap(), replies.export_inheritable().unwrap());
    let mut command = std::process::Command::new(CHILD);
    command.args(["channel", "import-and-echo"]).env("QUESTIONS", asked.as_str()).env("ANSWERS", replies.as_str());
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    drop((asked, replies));
    // Control: it waits while the child lives.
    assert!(answers.recv_timeout(Duration::from_millis(100)).unwrap().is_none());
    child.kill().unwrap();
    assert_eq!(answers.recv().unwrap_err().kind(), ErrorKind::PeerGone);
    child.wait().unwrap();
    drop(questions);
}

#[test]
fn exported_end_is_imported_as_what_it_is_or_left_alone() {
    let (sender, receiver) = small();
    let region = Region::create(4096).unwrap();
    let exported = sender.export_inheritable().unwrap();
    let string = exported.as_str();
    let fields: Vec<&str> = string.split(':').collect();
    let inheritable = || [0, 7, 10].map(|field| is_inheritable(fields[field].parse().unwrap()));
    let region_string = region.export().unwrap();
    let failed = |error: heirloom::Error| format!("{}: {}", error.kind(), error.advice().unwrap_or_default());
    assert_eq!(failed(Receiver::import(string).unwrap_err()), "wrong kind of region: use Sender::import");
    assert_eq!(failed(Region::import(string).unwrap_err()), "wrong kind of region: use Sender::import");
    assert_eq!(failed(Sender::import(region_string.as_str()).unwrap_err()), "wrong kind of region: use Region::import");
    drop(region_string);
    assert_eq!(Sender::import("nonsense").unwrap_err().kind(), ErrorKind::Malformed);
    // The pipes of the other side: what this end hears can't be what it rings.
    let swapped = [&fields[..7], &fields[10..], &fields[7..10]].concat().join(":");
    let error = Sender::import(&swapped).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains("it is another end of the pipe"), "{error}");
    assert_eq!(inheritable(), [true; 3]);
    // Control.
    Sender::import(string).unwrap().send(b"message").unwrap();
    assert_eq!(inheritable(), [true; 3], "an export of this process stays for its children");
    drop(exported);
    let mut receiver = receiver;
    assert_eq!(receiver.recv().unwrap().to_vec(), b"message");
    assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::PeerGone);
    drop(region);
}
