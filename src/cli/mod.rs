//! The same core from a terminal: what a CI job uses, or a data set beyond a browser's patience.
//!
//! Results go to standard output (JSON with `--json`), everything else to standard error. Exit codes: 0 done, 1 a file or
//! a step failed, 2 the command line is wrong, 3 done, and a threshold that was asked for is missed.

mod autopilot;
mod convert;
mod evaluate;
mod extract;
mod files;
mod images;
mod inspect;
mod job;
mod quantize;
mod run;
mod sqnr;

use crate::problem::Problem;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Inspect, run, quantize, evaluate and convert neural networks.
#[derive(Parser)]
#[command(name = "quantscope", version)]
struct Arguments {
    /// Write results as JSON to standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What a model is: card, operators, quantized tensors.
    Inspect(inspect::Inspect),
    /// Every quantized operation with its scales, zero points and attributes.
    Extract(extract::Extract),
    /// Run a model on an array and write what it gives.
    Run(run::Run),
    /// Quantize a float model as ONNX Runtime's quantize_static does.
    Quantize(quantize::Quantize),
    /// Search for the best quantized model under a target of accuracy and size.
    Autopilot(autopilot::Autopilot),
    /// Error of every quantized tensor: local (its own rounding) and cumulative (against the float model).
    Sqnr(sqnr::Sqnr),
    /// Convert a model of another framework to ONNX, or any model to PyTorch code.
    Convert(convert::Convert),
    /// Accuracy of models on a data set, overall and per class.
    Evaluate(evaluate::Evaluate),
}

/// How a command ended that did not fail.
enum Ended {
    /// As asked.
    Well,
    /// Done, and a threshold is missed.
    Missed,
}

/// Everything that a command may fail with.
type Outcome = Result<Ended, Vec<Problem>>;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    let outcome = match arguments.command {
        Command::Inspect(command) => command.run(json),
        Command::Extract(command) => command.run(json),
        Command::Run(command) => command.run(json),
        Command::Quantize(command) => command.run(json),
        Command::Autopilot(command) => command.run(json),
        Command::Sqnr(command) => command.run(json),
        Command::Convert(command) => command.run(json),
        Command::Evaluate(command) => command.run(json),
    };
    match outcome {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Missed) => ExitCode::from(3),
        Err(problems) => {
            for problem in problems {
                eprintln!("{}", words(&problem));
            }
            ExitCode::FAILURE
        }
    }
}

/// A problem in five lines.
fn words(problem: &Problem) -> String {
    let Problem { file, place, found, expected, advice } = problem;
    format!("error: {file}\n  place:    {place}\n  found:    {found}\n  expected: {expected}\n  to do:    {advice}")
}

/// Writes a line to standard output; a reader that has gone away is no failure of ours.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}

/// Prints a value as indented JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Vec<Problem>> {
    let text = serde_json::to_string_pretty(value).map_err(|error| vec![files::internal(&error.to_string())])?;
    print(&text);
    Ok(())
}
