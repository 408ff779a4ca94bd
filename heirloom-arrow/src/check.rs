//! Checks of what Arrow's reader would panic on, or wouldn't look at.

use arrow_ipc::{Block, Footer, Message, MessageHeader, MetadataVersion, RecordBatch, root_as_footer, root_as_message};

use crate::{Error, Result};

/// What a file ends with, behind the length of its footer.
const MAGIC: &[u8] = b"ARROW1";

pub(crate) fn malformed<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::Malformed(why.into()))
}

fn unsupported<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::Unsupported(why.into()))
}

/// Returns the footer of a file.
pub(crate) fn footer(file: &[u8]) -> Result<Footer<'_>> {
    let Some(rest) = file.strip_suffix(MAGIC).filter(|_| file.starts_with(MAGIC)) else {
        return malformed(format!("its {} bytes don't start and end with ARROW1", file.len()));
    };
    let Some((rest, len)) = rest.split_last_chunk() else { return malformed("it has no footer") };
    let len = i32::from_le_bytes(*len);
    let start = usize::try_from(len).ok().and_then(|len| rest.len().checked_sub(len));
    let Some(start) = start else { return malformed(format!("its footer can't have {len} bytes")) };
    let footer = root_as_footer(&rest[start..]).map_err(|error| Error::Malformed(format!("its footer: {error}")))?;
    let Some(schema) = footer.schema().filter(|schema| schema.fields().is_some()) else {
        return malformed("its footer has no schema");
    };
    if !schema.endianness().equals_to_target_endianness() {
        return unsupported("it has another order of bytes than this processor");
    }
    if ![MetadataVersion::V4, MetadataVersion::V5].contains(&footer.version()) {
        return malformed(format!("the version of its metadata is {:?}", footer.version()));
    }
    Ok(footer)
}

/// Returns where in the file a block is: its start and its length.
pub(crate) fn range(file: &[u8], block: &Block) -> Result<(usize, usize)> {
    let start = usize::try_from(block.offset()).ok();
    let metadata = usize::try_from(block.metaDataLength()).ok();
    let body = usize::try_from(block.bodyLength()).ok();
    let place = start.zip(metadata.zip(body)).and_then(|(start, (metadata, body))| {
        let len = metadata.checked_add(body)?;
        (start.checked_add(len)? <= file.len()).then_some((start, len))
    });
    match place {
        Some(place) => Ok(place),
        None => malformed(format!("{block:?} is outside of its {} bytes", file.len())),
    }
}

/// Checks the message of a dictionary.
pub(crate) fn dictionary(block: &Block, bytes: &[u8]) -> Result<()> {
    let (message, body) = parts(block, bytes)?;
    let Some(dictionary) = message.header_as_dictionary_batch() else {
        return malformed("a dictionary's block has none");
    };
    if dictionary.isDelta() {
        return unsupported(
            "a dictionary is in several parts: read it by arrow-ipc, unify the dictionaries, and freeze it again",
        );
    }
    match dictionary.data() {
        Some(data) => columns(&data, body),
        None => malformed("a dictionary has no values"),
    }
}

/// Checks the message of a batch.
pub(crate) fn batch(block: &Block, bytes: &[u8]) -> Result<()> {
    let (message, body) = parts(block, bytes)?;
    match message.header_as_record_batch() {
        Some(batch) if message.header_type() == MessageHeader::RecordBatch => columns(&batch, body),
        _ => malformed("a batch's block has none"),
    }
}

/// Returns a block's message, and the length of its body.
fn parts<'a>(block: &Block, bytes: &'a [u8]) -> Result<(Message<'a>, usize)> {
    let metadata = usize::try_from(block.metaDataLength()).ok().and_then(|len| bytes.split_at_checked(len));
    let Some((metadata, body)) = metadata else { return malformed("a block is too short") };
    // The length that follows the marker may be any: the footer has it too. Files before 0.15 have no marker.
    let start = if metadata.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let Some(message) = metadata.get(start..) else { return malformed("a block has no message") };
    let message = root_as_message(message).map_err(|error| Error::Malformed(format!("a block's message: {error}")))?;
    Ok((message, body.len()))
}

/// Checks what a message says of its columns: `body` is how many bytes they have.
fn columns(batch: &RecordBatch<'_>, body: usize) -> Result<()> {
    if batch.compression().is_some() {
        return unsupported("its buffers are compressed: read it by arrow-ipc and freeze it again");
    }
    if batch.length() < 0 {
        return malformed(format!("a batch has {} rows", batch.length()));
    }
    for node in batch.nodes().into_iter().flatten() {
        if !(0..=node.length()).contains(&node.null_count()) {
            return malformed(format!("a column has {} values and {} nulls", node.length(), node.null_count()));
        }
    }
    let buffers = batch.buffers().unwrap_or_default();
    for buffer in buffers {
        let end = buffer.offset().checked_add(buffer.length()).and_then(|end| usize::try_from(end).ok());
        if buffer.offset() < 0 || buffer.length() < 0 || end.is_none_or(|end| end > body) {
            return malformed(format!("{buffer:?} is outside of the {body} bytes of its batch"));
        }
    }
    for count in batch.variadicBufferCounts().into_iter().flatten() {
        if !usize::try_from(count).is_ok_and(|count| count <= buffers.len()) {
            return malformed(format!("a column has {count} of {} buffers", buffers.len()));
        }
    }
    Ok(())
}
