use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::Block;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::FileDecoder;
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use heirloom::FrozenRegion;

use crate::{Error, Result, check};

/// A table in a frozen region: batches whose buffers are in the region's mapping.
///
/// The mapping is there as long as the table, a batch, or a column of it.
///
/// ```
/// use arrow_array::{RecordBatchIterator, record_batch};
/// use heirloom_arrow::{Table, freeze};
///
/// let batch = record_batch!(("degrees", Float64, [4.5, 19.0]))?;
/// let schema = batch.schema();
/// let region = freeze(RecordBatchIterator::new([Ok(batch.clone()), Ok(batch)], schema))?;
///
/// let table = Table::open(&region)?;
/// drop(region);
/// assert_eq!(table.schema().field(0).name(), "degrees");
/// assert_eq!(table.len(), 2);
/// let rows = table.batches().map(|batch| Ok(batch?.num_rows())).sum::<heirloom_arrow::Result<usize>>()?;
/// assert_eq!(rows, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What another process can write is no table, so the type is absent:
/// ```compile_fail,E0308
/// let region = heirloom::Region::create(4096)?;
/// let table = heirloom_arrow::Table::open(&region)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Table {
    file: Buffer,
    decoder: FileDecoder,
    schema: SchemaRef,
    blocks: Vec<Block>,
}

impl Table {
    /// Maps a region, and validates the table's schema and dictionaries. [`batch`](Self::batch) validates the rest.
    ///
    /// # Errors
    /// - [`Error::Region`]: the region can't be mapped.
    /// - [`Error::Malformed`]: the region isn't a file of Arrow's IPC format, or a damaged one.
    /// - [`Error::Unsupported`]: its buffers are compressed, not aligned, or of another order of bytes,
    ///   or a dictionary is in several parts.
    ///
    /// ```no_run
    /// let table = heirloom_arrow::Table::open(&heirloom::FrozenRegion::inherited("table")?)?;
    /// println!("{} in {} batches", table.schema(), table.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(region: &FrozenRegion) -> Result<Self> {
        let file = Buffer::from(Bytes::from_owner(region.map()?));
        let footer = check::footer(&file)?;
        let schema = footer.schema().ok_or_else(|| Error::Malformed("its footer has no schema".into()))?;
        let schema: SchemaRef = read(|| Ok(Arc::new(fb_to_schema(schema))))?;
        // Otherwise a buffer that isn't aligned would be copied.
        let mut decoder = FileDecoder::new(schema.clone(), footer.version()).with_require_alignment(true);
        for block in footer.dictionaries().into_iter().flatten() {
            let bytes = slice(&file, block)?;
            check::dictionary(block, &bytes)?;
            read(|| decoder.read_dictionary(block, &bytes))?;
        }
        let blocks = footer.recordBatches().into_iter().flatten().copied().collect();
        Ok(Self { file, decoder, schema, blocks })
    }

    /// Returns the schema.
    ///
    /// ```
    /// # use arrow_array::{RecordBatchIterator, record_batch};
    /// # let batch = record_batch!(("degrees", Float64, [4.5, 19.0]))?;
    /// # let schema = batch.schema();
    /// # let region = heirloom_arrow::freeze(RecordBatchIterator::new([Ok(batch)], schema))?;
    /// let table = heirloom_arrow::Table::open(&region)?;
    /// assert_eq!(table.schema().index_of("degrees")?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Returns the number of batches.
    ///
    /// ```
    /// # use arrow_array::{RecordBatchIterator, record_batch};
    /// # let batch = record_batch!(("degrees", Float64, [4.5, 19.0]))?;
    /// # let schema = batch.schema();
    /// let region = heirloom_arrow::freeze(RecordBatchIterator::new([Ok(batch)], schema))?;
    /// assert_eq!(heirloom_arrow::Table::open(&region)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Returns whether there are no batches. A batch may have no rows.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_array::RecordBatchIterator;
    /// # use arrow_schema::Schema;
    /// let none = RecordBatchIterator::new([], Arc::new(Schema::empty()));
    /// assert!(heirloom_arrow::Table::open(&heirloom_arrow::freeze(none)?)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Validates a batch and returns it. Its buffers are in the mapping.
    ///
    /// Validating reads every text and every offset of the batch. A program that needs a batch several times keeps it: a clone of it
    /// is cheap.
    ///
    /// # Errors
    /// - [`Error::NoBatch`]: the index isn't below [`len`](Self::len).
    /// - [`Error::Malformed`]: the batch is damaged.
    /// - [`Error::Unsupported`]: its buffers are compressed or not aligned.
    ///
    /// ```no_run
    /// # let (worker, workers) = (0, 4);
    /// let table = heirloom_arrow::Table::open(&heirloom::FrozenRegion::inherited("table")?)?;
    /// for index in (worker..table.len()).step_by(workers) {
    ///     println!("{} rows", table.batch(index)?.num_rows());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch(&self, index: usize) -> Result<RecordBatch> {
        let Some(block) = self.blocks.get(index) else {
            return Err(Error::NoBatch(index));
        };
        let bytes = slice(&self.file, block)?;
        check::batch(block, &bytes)?;
        match read(|| self.decoder.read_record_batch(block, &bytes))? {
            Some(batch) => Ok(batch),
            None => check::malformed("a batch's block has none"),
        }
    }

    /// Returns an iterator over all batches, each validated when it is reached.
    ///
    /// ```no_run
    /// let table = heirloom_arrow::Table::open(&heirloom::FrozenRegion::inherited("table")?)?;
    /// for batch in table.batches() {
    ///     println!("{} rows", batch?.num_rows());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch>> + '_ {
        (0..self.len()).map(|index| self.batch(index))
    }
}

/// Shows the schema and the numbers of batches and bytes, never the values.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("schema", &self.schema)
            .field("batches", &self.len())
            .field("bytes", &self.file.len())
            .finish_non_exhaustive()
    }
}

fn slice(file: &Buffer, block: &Block) -> Result<Buffer> {
    let (start, len) = check::range(file, block)?;
    Ok(file.slice_with_length(start, len))
}

/// Calls Arrow's reader, which panics on some kinds of damage, such as a type that doesn't exist.
fn read<T>(read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T> {
    // What a panic leaves half done is not used again: the caller returns the error.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.to_string().contains("Misaligned buffer") => {
            Err(Error::Unsupported(format!("{error}: read it by arrow-ipc and freeze it again")))
        }
        Ok(Err(error)) => check::malformed(error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            check::malformed(
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("Arrow's reader panicked"),
            )
        }
    }
}
