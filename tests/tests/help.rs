//! What `--help` says of each program and subcommand.

use latent_tests::succeed;

/// The subcommands that a help lists.
fn subcommands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

#[test]
fn examples_fit_into_80_columns() {
    let mut examples = 0;
    let mut waiting: Vec<Vec<String>> =
        ["runtime", "exporter", "trainer", "viewer"].map(|name| vec![name.to_string()]).into();
    while let Some(command) = waiting.pop() {
        let help = succeed(&command[0], command[1..].iter().map(String::as_str).chain(["--help"]));
        let of = |name: &str| command.iter().cloned().chain([name.to_string()]).collect();
        waiting.extend(subcommands(&help).into_iter().map(of));
        let shown = help.lines().skip_while(|line| *line != "Examples:");
        for line in shown {
            examples += usize::from(line.starts_with(&format!("  {} ", command[0])));
            assert!(line.chars().count() <= 80, "{}: {line}", command.join(" "));
        }
    }
    assert!(examples > 60, "{examples} examples");
}
