//! What a worker found, in a place of its own in the shared region.

use heirloom::{ReadOnlyBytes, Result, SharedBytes};

/// The number of workers.
pub const WORKERS: usize = 4;

/// Four numbers of 64 bits.
const ANSWER: usize = 32;

/// The size of the region.
pub const SIZE: u64 = (WORKERS * ANSWER) as u64;

/// Sums and limits of the temperatures in a part of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    pub rows: u64,
    pub sum: f64,
    pub least: f64,
    pub most: f64,
}

impl Answer {
    /// The answer for no rows.
    pub const NONE: Self = Self { rows: 0, sum: 0.0, least: f64::INFINITY, most: f64::NEG_INFINITY };

    pub fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            sum: self.sum + other.sum,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    pub fn write(self, answers: &SharedBytes, worker: usize) -> Result<()> {
        let numbers = [self.rows, self.sum.to_bits(), self.least.to_bits(), self.most.to_bits()];
        answers.write_at(worker * ANSWER, numbers.map(u64::to_ne_bytes).as_flattened())
    }

    pub fn read(answers: &ReadOnlyBytes, worker: usize) -> Result<Self> {
        let mut copy = [[0; 8]; 4];
        answers.read_at(worker * ANSWER, copy.as_flattened_mut())?;
        let [rows, sum, least, most] = copy.map(u64::from_ne_bytes);
        let number = f64::from_bits;
        Ok(Self { rows, sum: number(sum), least: number(least), most: number(most) })
    }
}
