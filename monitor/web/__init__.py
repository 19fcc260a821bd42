"""What others read and write over HTTP: pages, metrics, the API and the control socket."""
