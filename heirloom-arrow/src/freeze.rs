use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Schema};
use heirloom::{FrozenOptions, FrozenRegion};

use crate::{Error, Result};

/// Freezes the batches of a reader: a CSV or Parquet file's, or a
/// [`RecordBatchIterator`](arrow_array::RecordBatchIterator) over batches that exist already.
///
/// The region gets Arrow's IPC file format. A batch's buffers go from where they are into the region, each by a system call, and
/// the reader is asked for a batch only when the one before is written. So beside the region there is one batch at a time, and for a
/// moment the values of a dictionary and the offsets of a slice, which are encoded anew.
///
/// # Errors
/// - [`Error::Region`]: as for [`FrozenOptions::writer`].
/// - [`Error::Source`]: the reader's own error, a batch that doesn't have the reader's schema, or what the format lacks: it has one
///   dictionary for a column in all batches.
///
/// ```
/// use arrow_array::{RecordBatchIterator, record_batch};
///
/// let batch = record_batch!(("city", Utf8, ["Oslo", "Lima"]), ("degrees", Float64, [4.5, 19.0]))?;
/// let schema = batch.schema();
/// let region = heirloom_arrow::freeze(RecordBatchIterator::new([Ok(batch.clone())], schema))?;
/// assert_eq!(heirloom_arrow::Table::open(&region)?.batch(0)?, batch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn freeze(batches: impl RecordBatchReader) -> Result<FrozenRegion> {
    freeze_with(&FrozenRegion::options(), batches)
}

/// Freezes the batches of a reader in a region with a debug name, a largest size, or huge pages.
///
/// # Errors
/// As for [`freeze`].
///
/// ```
/// use arrow_array::{RecordBatchIterator, record_batch};
/// use heirloom::FrozenRegion;
///
/// let batch = record_batch!(("degrees", Float64, [4.5, 19.0]))?;
/// let schema = batch.schema();
/// let mut options = FrozenRegion::options();
/// options.name("weather").max_size(1 << 30);
/// let region = heirloom_arrow::freeze_with(&options, RecordBatchIterator::new([Ok(batch)], schema))?;
/// assert!(format!("{region:?}").contains("weather"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn freeze_with(options: &FrozenOptions, batches: impl RecordBatchReader) -> Result<FrozenRegion> {
    let mut writer = options.writer()?;
    let schema = batches.schema();
    // What is small is collected first. Large buffers bypass the collection.
    let mut table = FileWriter::try_new_buffered(&mut writer, &schema).map_err(failed)?;
    for batch in batches {
        let batch = batch.map_err(Error::Source)?;
        check_types(&batch, &schema)?;
        table.write(&batch).map_err(failed)?;
    }
    table.finish().map_err(failed)?;
    drop(table);
    Ok(writer.freeze()?)
}

/// Arrow's writer trusts that a batch has the types that it wrote at the start.
fn check_types(batch: &RecordBatch, schema: &Schema) -> Result<()> {
    let types = batch.columns().iter().map(|column| column.data_type());
    if types.eq(schema.fields().iter().map(|field| field.data_type())) {
        return Ok(());
    }
    let message = format!("a batch of the schema {} came from a reader of the schema {schema}", batch.schema_ref());
    Err(Error::Source(ArrowError::SchemaError(message)))
}

/// Tells the region's error, inside the standard library's and Arrow's, from Arrow's own.
fn failed(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(text, error) => match error.downcast() {
            Ok(error) => Error::Region(error),
            Err(error) => Error::Source(ArrowError::IoError(text, error)),
        },
        error => Error::Source(error),
    }
}
