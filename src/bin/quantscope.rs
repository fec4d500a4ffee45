//! The same core from a terminal.

fn main() -> std::process::ExitCode {
    quantscope::cli::main()
}
