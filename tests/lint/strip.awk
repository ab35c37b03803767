# Prints FILE:LINE:code of C sources without comments and string contents.
FNR == 1 { open = 0 }
{
	line = $0
	out = ""
	while (line != "") {
		if (open) {
			at = index(line, "*/")
			if (at == 0)
				break
			line = substr(line, at + 2)
			open = 0
		} else if (match(line, /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'|\/\*|\/\//)) {
			out = out substr(line, 1, RSTART - 1)
			found = substr(line, RSTART, RLENGTH)
			line = substr(line, RSTART + RLENGTH)
			if (found == "//")
				break
			if (found == "/*")
				open = 1
			else
				out = out substr(found, 1, 1) substr(found, 1, 1)
		} else {
			out = out line
			break
		}
	}
	print FILENAME ":" FNR ":" out
}
