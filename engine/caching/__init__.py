"""What is kept to be quick, in Redis or in this process, and limits that all processes share."""
