"""What the parts of one vendor share: clients, error translation, model lists. Each SDK is imported only when used."""
