"""The pure core: time, input and state come in; decisions and their reasons go out."""
