"""The pure core: records and decisions; time, input and state come in, decisions and reasons go out."""
