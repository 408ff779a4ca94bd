//! What can't be written or read is an error that says why.

use std::io;
use std::sync::Arc;

use arrow_array::{DictionaryArray, Int64Array, RecordBatch, RecordBatchIterator, record_batch, types::Int16Type};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions};
use arrow_schema::ArrowError;
use heirloom::{ErrorKind, FrozenRegion};
use heirloom_arrow::{Error, Table, freeze, freeze_with};

use crate::samples::{batches, reader};

/// Returns a file as other programs write it.
fn file(options: IpcWriteOptions, batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn opened(bytes: impl AsRef<[u8]>) -> Result<Vec<RecordBatch>, Error> {
    let table = Table::open(&FrozenRegion::from_bytes(bytes).unwrap())?;
    table.batches().collect()
}

fn words(words: &[&str]) -> RecordBatch {
    let words: DictionaryArray<Int16Type> = words.iter().copied().collect();
    RecordBatch::try_from_iter([("word", Arc::new(words) as _)]).unwrap()
}

#[test]
fn what_is_no_table_is_malformed() {
    for (bytes, why) in [
        ("", "its 0 bytes don't start and end with ARROW1"),
        ("ARROW1", "it has no footer"),
        ("ARROW1 and so on", "its 16 bytes don't start and end with ARROW1"),
        ("ARROW1\u{7f}\0\0\0ARROW1", "its footer can't have 127 bytes"),
    ] {
        let Err(Error::Malformed(message)) = opened(bytes) else { panic!("{bytes:?}") };
        assert_eq!(message, why);
    }
}

#[test]
fn largest_size_is_kept() {
    let mut options = FrozenRegion::options();
    // More than what is collected before the first write.
    let batch = RecordBatch::try_from_iter([("numbers", Arc::new(Int64Array::from(vec![1; 100_000])) as _)]).unwrap();
    let Err(Error::Region(error)) = freeze_with(options.max_size(100_000), reader(vec![batch.clone()])) else {
        panic!()
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    let region = freeze_with(options.max_size(1_000_000), reader(vec![batch])).unwrap();
    assert!(region.size() > 800_000);
}

#[test]
fn error_of_the_source_is_returned() {
    let batch = record_batch!(("number", Int32, [1, 2])).unwrap();
    let broken = [Ok(batch.clone()), Err(ArrowError::CsvError("line 7".into()))];
    let Err(Error::Source(ArrowError::CsvError(line))) = freeze(RecordBatchIterator::new(broken, batch.schema()))
    else {
        panic!()
    };
    assert_eq!(line, "line 7");
}

#[test]
fn batch_of_another_schema_is_refused() {
    let batch = record_batch!(("number", Int32, [1, 2])).unwrap();
    let other = record_batch!(("number", Utf8, ["1", "2"])).unwrap();
    let mixed = RecordBatchIterator::new([Ok(batch.clone()), Ok(other)], batch.schema());
    let Err(Error::Source(ArrowError::SchemaError(message))) = freeze(mixed) else { panic!() };
    assert!(message.contains("Utf8") && message.contains("Int32"), "{message}");
}

#[test]
fn second_dictionary_of_a_column_is_refused() {
    let Err(Error::Source(error)) = freeze(reader(vec![words(&["a", "b"]), words(&["c", "d"])])) else { panic!() };
    assert!(error.to_string().contains("Dictionary replacement"), "{error}");
    // The control: the same dictionary twice.
    assert!(freeze(reader(vec![words(&["a", "b"]), words(&["a", "b"])])).is_ok());
}

#[test]
fn growing_dictionary_is_unsupported() {
    let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let grows = file(options, &[words(&["a", "b"]), words(&["a", "b", "c"])]);
    let Err(Error::Unsupported(why)) = opened(grows) else { panic!() };
    assert!(why.contains("unify the dictionaries"), "{why}");
}

#[test]
fn compressed_table_is_unsupported() {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let Err(Error::Unsupported(why)) = opened(file(options, &batches())) else { panic!() };
    assert!(why.contains("compressed") && why.contains("freeze it again"), "{why}");
    // The control: the same file without.
    assert_eq!(opened(file(IpcWriteOptions::default(), &batches())).unwrap(), batches());
}

#[test]
fn misaligned_table_is_unsupported() {
    // A decimal number has 16 bytes, and 8 are enough for other programs.
    let options = IpcWriteOptions::try_new(8, false, arrow_ipc::MetadataVersion::V5).unwrap();
    let batches = batches();
    let outcomes: Vec<_> = (0..4)
        .map(|columns| {
            // Each column before it moves it.
            let project: Vec<usize> = (0..columns).chain([6]).collect();
            opened(file(options.clone(), &[batches[0].project(&project).unwrap()]))
        })
        .collect();
    assert!(outcomes.iter().any(Result::is_ok));
    let mut refused = outcomes.into_iter().filter_map(Result::err);
    let Some(Error::Unsupported(why)) = refused.next() else { panic!() };
    assert!(why.contains("Misaligned buffers[0] in array of type Decimal128"), "{why}");
    assert!(why.contains("freeze it again"), "{why}");
}

#[test]
fn index_beyond_the_batches_is_an_error() {
    let table = Table::open(&freeze(reader(batches())).unwrap()).unwrap();
    assert!(table.batch(1).is_ok());
    assert!(matches!(table.batch(2), Err(Error::NoBatch(2))));
}

#[test]
fn errors_convert_and_keep_their_cause() {
    let malformed = || opened("no table at all").unwrap_err();
    assert_eq!(io::Error::from(malformed()).kind(), io::ErrorKind::InvalidData);
    assert!(ArrowError::from(malformed()).to_string().contains("don't start and end with ARROW1"));
}
