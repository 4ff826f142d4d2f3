"""What probes measure, apart from running them: facts that can be changed, planted instructions, counts, and the section they make."""
