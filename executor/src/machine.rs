//! What this machine is, as events say.

/// Where Linux describes its processors.
const CPUINFO: &str = "/proc/cpuinfo";

/// Returns the processor's model name.
pub fn cpu_model() -> String {
    // Without it a run is still worth recording.
    let text = std::fs::read_to_string(CPUINFO).unwrap_or_default();
    model_in(&text).unwrap_or("unknown").to_owned()
}

/// The first `model name` on x86; elsewhere whatever names the hardware.
fn model_in(cpuinfo: &str) -> Option<&str> {
    let field = |name: &str| {
        let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
    };
    field("model name")
        .or_else(|| field("Model"))
        .or_else(|| field("CPU part"))
        .filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_on_x86_and_on_arm() {
        let x86 = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\n";
        assert_eq!(model_in(x86), Some("AMD EPYC"));
        assert_eq!(model_in("processor\t: 0\nCPU part\t: 0xd0c\n"), Some("0xd0c"));
        assert_eq!(model_in("nothing"), None);
    }
}
