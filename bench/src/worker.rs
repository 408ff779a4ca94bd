//! Processes that do what they are told, a line each, and answer with the nanoseconds that it took.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Worker {
    process: RefCell<Child>,
    lines: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Worker {
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process: process.into(), lines: lines.into() }
    }

    /// How long it took to do that.
    pub fn order(&self, order: &str) -> f64 {
        let (orders, answers) = &mut *self.lines.borrow_mut();
        writeln!(orders, "{order}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        answer.trim().parse().unwrap_or_else(|_| panic!("{order:?} was answered by {answer:?}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let process = self.process.get_mut();
        let _ = process.kill();
        let _ = process.wait();
    }
}
