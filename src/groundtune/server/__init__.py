"""What is served over HTTP: pages for one person at this machine. The only folder that touches the web stack."""
