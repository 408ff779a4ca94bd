//! The crate `ipc-channel`: memory sent over a socket that the child finds by name.

use std::mem::ManuallyDrop;
use std::process::Command;

use ipc_channel::ipc::{IpcOneShotServer, IpcSender, IpcSharedMemory, channel};

use super::{Candidate, Parent, Running, child_args, child_program, running};

pub const CANDIDATE: Candidate =
    Candidate { name: "ipc-channel", key: "ipc", create: Some(create), parent: Some(parent), attach: Some(attach) };

fn create(size: usize, touch: &dyn Fn(*mut u8)) {
    // `ipc-channel` can only create memory by filling it.
    let mut memory = IpcSharedMemory::from_byte(0, size);
    // SAFETY: The memory was just created and is not shared yet.
    touch(unsafe { memory.deref_mut() }.as_mut_ptr());
}

fn parent(size: usize) -> Parent {
    let mut shared = IpcSharedMemory::from_byte(0, size);
    // SAFETY: The parent only reads the child's bytes, and only after the child has exited.
    let memory = unsafe { shared.deref_mut() }.as_mut_ptr();
    let start = move || -> Running {
        let (server, name) = IpcOneShotServer::<IpcSender<IpcSharedMemory>>::new().unwrap();
        let child = Command::new(child_program()).args(child_args(&CANDIDATE, &name)).spawn().unwrap();
        let (_, sender) = server.accept().unwrap();
        sender.send(shared.clone()).unwrap();
        running(child)
    };
    Parent { memory, start: Box::new(start) }
}

fn attach(name: &str) -> *mut u8 {
    let (sender, receiver) = channel::<IpcSharedMemory>().unwrap();
    IpcSender::connect(name.to_owned()).unwrap().send(sender).unwrap();
    let mut shared = ManuallyDrop::new(receiver.recv().unwrap());
    // SAFETY: The parent reads these bytes only after this process has exited.
    unsafe { shared.deref_mut() }.as_mut_ptr()
}
