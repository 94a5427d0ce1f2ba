//! Command-line templates: which placeholders there are, and how they are filled in.

/// The entry file's name; may be part of an element.
const ENTRY: &str = "{entry}";
/// An element that becomes the source files.
const SOURCES: &str = "{sources}";
/// An element that becomes the user's compiler options.
const OPTIONS: &str = "{options}";

/// Fills a template in. Nothing is split at spaces and nothing is expanded twice, so that a file's name stays one element.
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

/// A file's name that no program takes for an option.
pub(super) fn as_operand(file: &str) -> String {
    if file.starts_with('-') { format!("./{file}") } else { file.to_owned() }
}

/// The first placeholder of an element that [`render`] would leave standing, or that does not belong there.
pub(super) fn misplaced<'a>(element: &'a str, allowed: &[&str]) -> Option<&'a str> {
    let start = element.find('{')?;
    let found = element.get(start..)?;
    let known = allowed.iter().any(|placeholder| {
        found.starts_with(placeholder) && (*placeholder == ENTRY || element == *placeholder)
    });
    if known { None } else { Some(found) }
}

/// What may stand in a compiler's template.
pub(super) const IN_COMPILE: &[&str] = &[ENTRY, SOURCES, OPTIONS];
/// What may stand in a program's template.
pub(super) const IN_RUN: &[&str] = &[ENTRY];
