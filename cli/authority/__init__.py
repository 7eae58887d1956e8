"""What an operator does with the development authority."""
