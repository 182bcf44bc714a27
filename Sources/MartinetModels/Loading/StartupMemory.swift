import CMartinetKernels

/// Memory that a process needs until it serves.
package enum StartupMemory {
    /// Gives it back: call it when everything is loaded, and when the first work is done.
    ///
    /// Reading a vocabulary leaves megabytes of free heap behind, and starting up runs through more code than serving
    /// does. Code that is needed after all is read again from the page cache, in some milliseconds altogether. Software
    /// breakpoints that a debugger has set by then are lost.
    package static func release() { mk_release_startup_memory() }
}
