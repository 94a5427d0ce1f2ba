//! Command-line templates: which placeholders there are, and how they are filled in.

/// The entry file's name; may be part of an element.
const ENTRY: &str = "{entry}";
/// An element that becomes the source files.
const SOURCES: &str = "{sources}";
/// An element that becomes the user's compiler options.
const OPTIONS: &str = "{options}";

/// Fills a template in. Nothing is split at spaces and nothing is expanded twice, so that a file's
/// name stays one element.
pub(super) fn render(
    template: &[String],
    entry: &str,
    sources: &[String],
    options: &[String],
) -> Vec<String> {
    let mut argv = Vec::with_capacity(template.len() + sources.len() + options.len());
    for element in template {
        match element.as_str() {
            SOURCES => argv.extend_from_slice(sources),
            OPTIONS => argv.extend_from_slice(options),
            ENTRY => argv.push(as_operand(entry)),
            element => argv.push(element.replace(ENTRY, entry)),
        }
    }
    argv
}

/// Spells a file's name so that no program takes it for an option.
pub(super) fn as_operand(file: &str) -> String {
    // `gcc -x.c` would be an option; `gcc ./-x.c` names the same file.
    if file.starts_with('-') { format!("./{file}") } else { file.to_owned() }
}

/// Returns the text of an element from the first brace that [`render`] does not fill in. That text
/// would reach the program as it stands.
pub(super) fn misplaced(element: &str, whole: &[&str]) -> Option<String> {
    if whole.contains(&element) {
        return None;
    }
    let rest = element.replace(ENTRY, "");
    rest.find('{').and_then(|start| rest.get(start..)).map(str::to_owned)
}

/// What may be a whole element of a compiler's template. `{entry}` may stand anywhere.
pub(super) const IN_COMPILE: &[&str] = &[SOURCES, OPTIONS];
/// What may be a whole element of a program's template.
pub(super) const IN_RUN: &[&str] = &[];
