"""What a run leaves in the Swift project: events become data items."""
