//! The `airwrite` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    airwrite::cli::main()
}
