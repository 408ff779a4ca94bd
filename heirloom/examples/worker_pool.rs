//! Feeds workers by channels. The job of a worker that dies is given to another.
//!
//! Each worker has two channels: one for its jobs, one for its answers. A thread of the parent serves each worker, sends it one
//! job after the other and waits for the answer.
//!
//!     cargo run --example worker_pool

use std::collections::VecDeque;
use std::env;
use std::sync::Mutex;
use std::thread;

use heirloom::{Child, Command, ErrorKind, Receiver, Result, Sender};

const WORKERS: usize = 2;
const JOBS: u32 = 100;
/// The job that kills the first worker that gets it.
const DEADLY: u32 = 13;

/// A number to square, and how often it was tried before.
#[derive(Clone, Copy)]
struct Job {
    number: u32,
    attempts: u32,
}

fn main() -> Result<()> {
    heirloom::claim()?;
    match env::args().nth(1).as_deref() {
        Some("worker") => work(),
        _ => serve_all(),
    }
}

fn serve_all() -> Result<()> {
    let jobs: Mutex<VecDeque<_>> = (0..JOBS).map(|number| Job { number, attempts: 0 }).collect::<VecDeque<_>>().into();
    let answers = Mutex::new(Vec::new());
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS).map(|_| scope.spawn(|| serve(&jobs, &answers))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(0))).collect()
    });
    let died: u32 = results.into_iter().sum::<Result<_>>()?;
    let answers = answers.into_inner().unwrap_or_default();
    println!("{} answers, their sum is {}, {died} worker died", answers.len(), answers.iter().sum::<u64>());
    Ok(())
}

/// A worker and the parent's ends of its channels.
struct Worker {
    process: Child,
    jobs: Sender,
    answers: Receiver,
}

impl Worker {
    fn start() -> Result<Self> {
        let ((jobs, their_jobs), (their_answers, answers)) = (heirloom::channel(4096)?, heirloom::channel(4096)?);
        let mut command = Command::new(env::current_exe().unwrap_or_default());
        command.arg("worker").inherit_end("jobs", their_jobs)?.inherit_end("answers", their_answers)?;
        Ok(Self { process: command.spawn()?, jobs, answers })
    }

    /// Asks the worker; `None` if it has died.
    fn ask(&mut self, job: Job) -> Result<Option<u64>> {
        let mut message = [0; 8];
        message[..4].copy_from_slice(&job.number.to_ne_bytes());
        message[4..].copy_from_slice(&job.attempts.to_ne_bytes());
        let answer = self.jobs.send(&message).and_then(|()| self.answers.recv());
        match answer {
            // Copied before it is used: the worker could change it meanwhile.
            Ok(answer) => answer.load_u64(0).map(Some),
            Err(error) if error.kind() == ErrorKind::PeerGone => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Gives jobs to one worker, and to the next if that dies. Returns how many have died.
fn serve(jobs: &Mutex<VecDeque<Job>>, answers: &Mutex<Vec<u64>>) -> Result<u32> {
    let next = || jobs.lock().ok().and_then(|mut jobs| jobs.pop_front());
    let mut died = 0;
    let mut worker = Worker::start()?;
    while let Some(job) = next() {
        if let Some(answer) = worker.ask(job)? {
            answers.lock().map(|mut answers| answers.push(answer)).ok();
            continue;
        }
        jobs.lock().map(|mut jobs| jobs.push_back(Job { attempts: job.attempts + 1, ..job })).ok();
        worker.process.wait()?;
        worker = Worker::start()?;
        died += 1;
    }
    // The worker ends when its channel does.
    let Worker { mut process, jobs, .. } = worker;
    drop(jobs);
    process.wait()?;
    Ok(died)
}

fn work() -> Result<()> {
    let (mut jobs, mut answers) = (Receiver::inherited("jobs")?, Sender::inherited("answers")?);
    loop {
        let (number, attempts) = match jobs.recv() {
            Ok(job) => (job.load_u32(0)?, job.load_u32(4)?),
            Err(error) if error.kind() == ErrorKind::PeerGone => return Ok(()),
            Err(error) => return Err(error),
        };
        if number == DEADLY && attempts == 0 {
            std::process::exit(1);
        }
        answers.send(&(u64::from(number) * u64::from(number)).to_ne_bytes())?;
    }
}
