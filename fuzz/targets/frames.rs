//! A process that lies: it writes what it likes into the memory of a channel, whose other end is used meanwhile. That end must
//! return messages within the ring, or errors, and must go on returning the error of a broken peer.
//!
//! The first byte of an input chooses the end that is used: the receiver if it is even, the sender if it is odd. Each further 6
//! bytes are an offset and the number to write there, both little-endian; the offset is taken modulo the memory's size. If its
//! lowest bit is set, the end is used afterwards.

#![no_main]

use heirloom::{ErrorKind, Mapping, Receiver, Region, Result, Sender, channel};
use libfuzzer_sys::fuzz_target;

/// The size of the ring, and of what precedes it.
const RING: u16 = 4096;
const WORDS: u16 = 256;
/// The longest message.
const LONGEST: usize = 2040;

fuzz_target!(|input: &[u8]| {
    let Some((end, writes)) = input.split_first() else { return };
    let (mut sender, mut receiver) = channel(u64::from(RING)).unwrap();
    if end % 2 == 0 {
        let liar = sender.export_inheritable().unwrap();
        lie(&memory(liar.as_str()), writes, |number| receive(&mut receiver, number));
    } else {
        let liar = receiver.export_inheritable().unwrap();
        lie(&memory(liar.as_str()), writes, |number| send(&mut sender, number));
    }
});

/// Maps the memory of an exported end. It is a region like any other.
fn memory(string: &str) -> Mapping {
    let mut fields: Vec<&str> = string.split(':').take(7).collect();
    fields[3] = "writable";
    Region::import(&fields.join(":")).unwrap().map().unwrap()
}

/// Receives what there is, without waiting. `number` chooses whether it prepares to wait before.
fn receive(receiver: &mut Receiver, number: u32) -> Result<()> {
    if number.is_multiple_of(7) {
        receiver.arm()?;
    }
    while let Some(message) = receiver.try_recv()? {
        assert!(message.len() <= LONGEST);
        assert_eq!(message.to_vec().len(), message.len());
    }
    Ok(())
}

/// Sends a message without waiting. `number` chooses its length, and whether it prepares to wait before.
fn send(sender: &mut Sender, number: u32) -> Result<()> {
    let len = number as usize % (LONGEST + 1);
    if number.is_multiple_of(7) {
        sender.arm(len)?;
    }
    sender.try_send(&[7; LONGEST][..len]).map(drop)
}

/// Writes, and lets the other end do something in between.
fn lie(memory: &Mapping, writes: &[u8], mut act: impl FnMut(u32) -> Result<()>) {
    let mut broken = false;
    for write in writes.chunks_exact(6) {
        let (place, number) = write.split_at(2);
        let (place, number) =
            (u16::from_le_bytes(place.try_into().unwrap()), u32::from_le_bytes(number.try_into().unwrap()));
        let offset = usize::from(place % (WORDS + RING)) & !3;
        memory.atomic_u32(offset).unwrap().store(number);
        if place & 1 == 0 {
            continue;
        }
        match act(number).map_err(|error| error.kind()) {
            Err(ErrorKind::PeerBroken) => broken = true,
            // It marked itself as closed.
            Ok(()) | Err(ErrorKind::PeerGone) => assert!(!broken),
            Err(kind) => panic!("{kind}"),
        }
    }
}
