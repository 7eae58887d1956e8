"""A witness: confirms that logs only ever grow (C2SP tlog-witness), whoever they belong to."""
