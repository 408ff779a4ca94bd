//! The child: decodes the picture that it inherits into the region that it inherits.

use std::error::Error;
use std::io::Cursor;

use heirloom::{FrozenRegion, Region, SharedBytes};
use png::{Decoder, Limits, Transformations};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::answer::{self, Header};
use crate::hostile;

/// The memory that it may map, in bytes. No confinement limits that.
const MEMORY: u64 = 1 << 30;
/// The processor time that it may use, in seconds; also each process that it starts, which the parent doesn't know of.
const SECONDS: u64 = 10;

pub fn child(how: &[&str]) -> Result<(), Box<dyn Error>> {
    // Before it looks at the picture: this code is still the one that its author wrote.
    for (resource, most) in [(Resource::As, MEMORY), (Resource::Cpu, SECONDS), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    let answer = Region::inherited("answer")?;
    let view = answer.map()?;
    match how {
        ["decode"] => decode(&FrozenRegion::inherited("picture")?.map()?, &view),
        _ => hostile::run(how, &answer, &view),
    }
}

/// A frozen region is a plain slice: nobody can change it, so any crate can parse it.
fn decode(picture: &[u8], answer: &SharedBytes) -> Result<(), Box<dyn Error>> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(picture), Limits { bytes: 128 << 20 });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    // The shared region gives no `&mut [u8]`, since the parent may read it meanwhile.
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("the picture is too large")?];
    let info = reader.next_frame(&mut pixels)?;
    let bytes_per_pixel = u32::try_from(info.color_type.samples())?;
    answer::give(answer, Header { width: info.width, height: info.height, bytes_per_pixel }, &pixels)?;
    Ok(())
}
