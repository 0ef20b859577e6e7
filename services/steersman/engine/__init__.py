"""A small engine: llama.cpp's server with whatever GGUF file it is given."""
