"""The little of SD.Next that its own lists of samplers need, and lists of that kind in `../samplers`."""
