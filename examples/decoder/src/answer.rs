//! The region that the decoder answers in: a header, then the pixels.
//!
//! The decoder, and all that it started, can write it at any time, also while the parent reads. So the parent copies the
//! header out once, checks the copy, and never looks at the original again.

use std::error::Error;

use heirloom::{ReadOnlyBytes, Result, SharedBytes};

/// Four numbers of 32 bits.
const HEADER: usize = 16;
/// The most bytes that pixels take.
const MOST: usize = 64 << 20;

/// The size of the region. Pages that nobody writes take no memory.
pub const SIZE: u64 = (HEADER + MOST) as u64;

/// The header's first number once the rest is there. A new region is zero.
const DONE: u32 = 1;

/// What a decoder says of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Header {
    pub width: u32,
    pub height: u32,
    pub bytes_per_pixel: u32,
}

impl Header {
    /// Returns the bytes that the pixels take, if there may be such a picture.
    pub fn bytes(self) -> Option<usize> {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let bytes = usize::try_from(pixels.checked_mul(self.bytes_per_pixel.into())?).ok()?;
        (bytes > 0 && bytes <= MOST && self.bytes_per_pixel <= 4).then_some(bytes)
    }

    pub fn write(self, answer: &SharedBytes) -> Result<()> {
        let numbers = [DONE, self.width, self.height, self.bytes_per_pixel];
        answer.write_at(0, numbers.map(u32::to_ne_bytes).as_flattened())
    }

    /// Copies the header; `None` if no decoder has written it.
    pub fn read(answer: &ReadOnlyBytes) -> Result<Option<Self>> {
        let mut copy = [[0; 4]; 4];
        answer.read_at(0, copy.as_flattened_mut())?;
        let [state, width, height, bytes_per_pixel] = copy.map(u32::from_ne_bytes);
        Ok((state == DONE).then_some(Self { width, height, bytes_per_pixel }))
    }
}

/// Writes the answer: the header last, so that it is missing after a crash.
pub fn give(answer: &SharedBytes, header: Header, pixels: &[u8]) -> Result<()> {
    answer.write_at(HEADER, pixels)?;
    header.write(answer)
}

/// A picture in memory of this process alone.
pub struct Picture {
    pub header: Header,
    pub pixels: Vec<u8>,
}

/// Takes the answer of a decoder, which may lie.
pub fn take(answer: &ReadOnlyBytes) -> std::result::Result<Picture, Box<dyn Error>> {
    let header = Header::read(answer)?.ok_or("the decoder gave no answer")?;
    let bytes = header.bytes().ok_or_else(|| format!("the decoder claims what can't be: {header:?}"))?;
    // At most `MOST`, which the region has. The pixels themselves may be any.
    let mut pixels = vec![0; bytes];
    answer.read_at(HEADER, &mut pixels)?;
    Ok(Picture { header, pixels })
}
