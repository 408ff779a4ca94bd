//! Waiting without the interpreter, so that other threads run, and with an ear for signals such as Ctrl-C.

use std::time::{Duration, Instant};

use heirloom::ErrorKind;
use pyo3::prelude::*;

use crate::error::{OrRaise, refused};

/// How long a thread sleeps before it looks for signals: the library sleeps on when one arrives.
const SLICE: Duration = Duration::from_millis(100);

/// Reads a timeout: seconds, or ``None`` for no limit.
pub(crate) fn timeout(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(seconds) = seconds.filter(|&seconds| seconds != f64::INFINITY) else { return Ok(None) };
    if seconds < 0.0 || seconds.is_nan() {
        return Err(refused(ErrorKind::InvalidInput, &format!("the timeout is not a number of seconds: {seconds}")));
    }
    // One beyond 500 billion years is no limit.
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

/// Waits until `now` or `sleep` has a result; `None` if the time has passed.
///
/// `now` has the interpreter, and doesn't wait. `sleep` runs without it, for as long as it is told.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut now: impl FnMut() -> PyResult<Option<T>>,
    sleep: impl Fn(Duration) -> heirloom::Result<Option<T>> + Sync,
) -> PyResult<Option<T>> {
    let start = Instant::now();
    loop {
        if let Some(done) = now()? {
            return Ok(Some(done));
        }
        let rest = timeout.map_or(SLICE, |timeout| timeout.saturating_sub(start.elapsed()));
        if rest.is_zero() {
            return Ok(None);
        }
        if let Some(done) = py.detach(|| sleep(rest.min(SLICE))).or_raise()? {
            return Ok(Some(done));
        }
        py.check_signals()?;
    }
}
