//! The `wiregate` binary, built with the tests so that it is never stale.
fn main() -> std::process::ExitCode {
    gateway::cli::main()
}
